"""Which theorem needs which hypothesis: every entry of the table decided."""
