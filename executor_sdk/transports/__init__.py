"""Ways into an executor; none of them knows another."""
