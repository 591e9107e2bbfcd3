from transformers import AutoModel


def load_model_on_gpus(checkpoint_path, num_gpus=2, **kwargs):
    """One GPU is all that this stand-in knows."""
    if num_gpus != 1:
        raise NotImplementedError("the demo's stand-in uses one GPU")
    return AutoModel.from_pretrained(checkpoint_path, trust_remote_code=True, **kwargs).half().cuda()
