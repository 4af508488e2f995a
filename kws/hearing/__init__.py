"""What clips sound like to a frozen encoder: heard once, whatever is made of it then. No torch."""
