"""How a trial takes its optimizer steps."""
