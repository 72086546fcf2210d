import sys

from nightly.report import build

if __name__ == "__main__":
    folder, target = sys.argv[1:]
    with open(target, "w", encoding="utf-8") as file:
        file.write(build(folder))
