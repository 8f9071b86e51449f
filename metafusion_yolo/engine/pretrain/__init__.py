"""Training of the front-end that ships, on synthetic and free pictures: `python -m` with the module `training`."""
