"""Logs Insights: queries over what is in log groups."""
