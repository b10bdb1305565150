"""The sensor after EMVA 1288: dark frame and photon transfer."""
