#!/bin/bash
# Trains on two machines of four GPUs each: sbatch examples/slurm.sh. The runs lie on a disk that both share.
#SBATCH --job-name=metafusion
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun --nnodes="$SLURM_NNODES" --nproc_per_node=4 --max-restarts=3 \
  --rdzv_backend=c10d --rdzv_endpoint="$head:29500" --rdzv_id="$SLURM_JOB_ID" \
  -m metafusion_yolo train data=pairs.yaml pretrained=yolov8n.pt epochs=100 batch=128 \
  project="${RUNS:-$PWD/runs}" name="job-$SLURM_JOB_ID" resume=auto
