"""Appendix A of Real-IAD-MVN, equations A1 to A6: a depth image from a picture and normals. Extra `generative`.

Read in the paper's order: diffusion.py (A1, A2), autoencoder.py (A3), adversarial.py (A4), conditioner.py (A5, A6).
unet.py and depth_model.py join them, train.py and sample.py run them. docs/depth-model.md lists every departure.
"""
