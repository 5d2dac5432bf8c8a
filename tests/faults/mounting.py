"""Small file systems that only one process sees."""

import shutil
import subprocess
from functools import cache

IN_OWN_SPACE = ("unshare", "--user", "--map-root-user", "--mount")


@cache
def can_mount() -> bool:
    """Whether this machine lets us make one."""
    if shutil.which("unshare") is None:
        return False
    tried = [*IN_OWN_SPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0
