"""Runs the checks in the files test_*.py of a folder.

Ends with the lines `# pass 12`, `# fail 0` and `# skipped 0`, as Node's test runner does: the caller counts with them.
"""

import sys
import unittest


def main(folder: str) -> int:
    suite = unittest.defaultTestLoader.discover(folder, pattern="test_*.py", top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    # A check with several failed parts is one failed check.
    failed = len({getattr(check, "test_case", check).id() for check, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    print(f"# pass {result.testsRun - failed - skipped}", f"# fail {failed}", f"# skipped {skipped}", sep="\n")
    return 0 if result.wasSuccessful() else 1


sys.exit(main(sys.argv[1]))
