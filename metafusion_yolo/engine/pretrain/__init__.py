"""The training of the start that ships, on made and free pictures: `python -m` and the module `training` in here."""
