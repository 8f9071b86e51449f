"""The training of the start that ships, on made and free pictures: `python -m metafusion_yolo.pretrain.training`."""
