"""The roles that work behind the API: one thin module each, wiring decisions to store and broker."""
