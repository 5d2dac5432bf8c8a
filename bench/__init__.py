"""Speed and memory of the product beside its peers, on one server, with verified rows."""
