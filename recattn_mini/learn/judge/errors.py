"""What an exception usually means in an answer about attention: the message is the library's, the mistake is yours."""

MEANINGS = {
    "`if mask:` asks a whole array: use `if mask is not None`": (
        "truth value of an array",
        "Boolean value of Tensor",
    ),
    "two axes meet that should not: was one dropped by a sum or maximum without keepdims (keepdim), or is one of size "
    "1 missing?": (
        "could not be broadcast together",
        "must match the size of tensor",
    ),
    "the inner axes of a product differ: swap the last two axes (swapaxes(-1, -2), .mT); `.T` reverses them all, and a "
    "matrix of weights may be the other way round": (
        "mat1 and mat2",
        "core dimension",
        "Expected size for first two dimensions",
    ),
    "bmm and baddbmm know three axes: @ and matmul know any number of leading ones": ("must be a 3D tensor",),
    "the axes are listed for a fixed number of them: swap the last two by swapaxes(-1, -2) or .mT": (
        "axes don't match array",
        "number of dimensions in the tensor input does not match",
    ),
    "only an axis of size 1 can be expanded: add one where it is missing (unsqueeze, None), or let the operation "
    "broadcast by itself": ("The expanded size of the tensor",),
    "this tensor has no axis at all: was everything added up, or is it one number?": (
        "too many indices for tensor of dimension 0",
    ),
    "there are fewer than k to choose from: take min(k, their number)": ("selected index k out of range",),
    "float(), int(), math's functions and .item() take one number, this is an array of several: NumPy's and PyTorch's "
    "own functions take it whole": (
        "only 0-dimensional arrays",
        "only length-1 arrays",
        "only one element tensors",
        "cannot be converted to Scalar",
    ),
    "the _numpy form gets arrays and returns one, the other form gets tensors: take np.… or torch.… throughout": (
        "must be Tensor, not numpy.ndarray",
    ),
    "the einsum is written for a fixed number of axes: '...' stands for any leading ones": (
        "number of subscripts",
        "einstein sum",
    ),
    "view needs numbers in order, and an input may be a transposed view: use reshape": ("view size is not compatible",),
    "an index has to have the shape of what it indexes, a mask only broadcasts to it: use where or masked_fill": (
        "The shape of the mask",
        "boolean index did not match",
    ),
    "this dtype has no such number: use -inf": ("without overflow",),
    "an axis is counted from the front: count from the back (-1), there may be any number of leading ones": (
        "Dimension out of range",
        "out of bounds for array of dimension",
    ),
    "autograd needs the old values: work on a copy": (
        "leaf Variable that requires grad",
        "modified by an inplace operation",
    ),
    "a boolean mask is not a number: invert it with ~, use it with where": (
        "operator, on a bool",
        "with a bool tensor",
        "boolean negative",
    ),
    "NumPy and PyTorch name it differently (astype, to; swapaxes, mT; where, masked_fill): which form is this?": (
        "has no attribute",
    ),
    "NumPy says axis and keepdims, PyTorch says dim and keepdim": ("unexpected keyword argument",),
    "parameters must bear the names that the given __init__ sets up": ("Missing key", "Unexpected key"),
}


def meaning(message: str) -> str:
    """The usual mistake behind what an exception says, or nothing."""
    return next((told for told, phrases in MEANINGS.items() if any(p in message for p in phrases)), "")
