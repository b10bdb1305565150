"""From good parts to what a recipe needs: data sets, the trained model, the product's gloss."""
