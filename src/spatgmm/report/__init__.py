"""What a finished run becomes: tables, figures and a summary."""
