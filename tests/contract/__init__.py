"""Every door that we inherit from the host leads to pairs, or says no: the table, its page and its guard."""
