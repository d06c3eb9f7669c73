"""Labels that a generated class could not have: words of Python, and attributes of `torch.nn.Module`.

Labels are `state_dict` keys, so they cannot be renamed quietly; a test holds this list against torch itself.
"""

from __future__ import annotations

import keyword

MODULE_ATTRIBUTES = frozenset(
    """
T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
state_dict to to_empty train training type xpu zero_grad
""".split()
)


class Reserved(dict[str, str]):
    """Why a label is refused; names that begin with an underscore are all torch's own."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith("_")

    def __missing__(self, name: str) -> str:
        return "names that begin with `_` belong to torch.nn.Module"


RESERVED = Reserved(
    {
        **dict.fromkeys(MODULE_ATTRIBUTES, "every torch.nn.Module has an attribute of that name"),
        **dict.fromkeys(keyword.kwlist, "it is a word of Python"),
    }
)
