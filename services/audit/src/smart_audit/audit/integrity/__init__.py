"""Every row of the database held against every other, so that whatever was changed is found."""
