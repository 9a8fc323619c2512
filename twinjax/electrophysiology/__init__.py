"""What heart cells do under pacing, and what drugs do to them: beats, biomarkers, bench data, risk of torsade."""
