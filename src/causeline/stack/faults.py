"""What the operating system says, as one sentence that names the thing and the way out."""

import errno

from causeline.schemas.errors import CauselineError, EnvironmentFault


def environment_fault(error: OSError, thing: str) -> CauselineError:
    """The fault of this machine behind `error`, met while using `thing` (a noun phrase)."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return EnvironmentFault(f"No space is left for {thing}.", hint="Free some disk space, then try again.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return EnvironmentFault(
                f"There is no permission to write {thing}.", hint="Change its owner, or choose another folder."
            )
        case errno.EADDRINUSE:
            return EnvironmentFault(
                f"The address of {thing} is in use.", hint="Choose another port, or 0 for a free one."
            )
        case errno.ENOTDIR | errno.EEXIST:
            return EnvironmentFault(
                f"A file stands where {thing} should be.", hint="Move it, or choose another folder."
            )
        case _:
            reason = error.strerror or str(error) or type(error).__name__
            return EnvironmentFault(f"Using {thing} failed: {reason}.", hint="Mend that, then try again.")
