"""Two tenants on one system: neither sees, changes or hears of anything of the other."""
