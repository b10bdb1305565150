"""From parts to a model: data sets, training, gloss."""
