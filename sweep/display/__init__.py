"""What a person sees: the live view, plain lines, tables."""
