"""Worker processes as the daemon sees them: started, spoken to, adopted, ended."""
