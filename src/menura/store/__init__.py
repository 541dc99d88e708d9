"""What is kept: voices, the files of models, settings. SQLite here, PostgreSQL by address; files by their hash."""
