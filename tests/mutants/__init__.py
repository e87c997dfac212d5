"""Small damages to podcore, and for each the test that notices: ``make mutants``."""
