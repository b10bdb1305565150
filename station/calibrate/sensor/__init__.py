"""The sensor after EMVA 1288, from pictures of the evenly lit white plane."""
