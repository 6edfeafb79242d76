"""What a run would do: trials that are missing, their cost and order, checks and warnings."""
