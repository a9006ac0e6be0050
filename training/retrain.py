"""Retrain, validate, judge against the champion, promote: one run for a scheduler.

    python training/retrain.py training/business.toml [--data TABLE] [--registry FOLDER_OR_URI] [--name NAME]

Exit code 0: the new model is the champion; 1: the champion stays, or there is too little data; 2: bad input.
"""

import argparse
import sys

from chs_ml import load_recipe
from chs_ml.errors import ChsError
from chs_ml.promotion import retrain
from chs_ml.registry import NAME, Registry


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", help="use this table instead of the recipe's")
    parser.add_argument("--registry", help="folder or MLflow tracking URI")
    parser.add_argument("--name", default=NAME)
    said = parser.parse_args()
    try:
        recipe = load_recipe(said.recipe)
        recipe = recipe if said.data is None else recipe.with_data(said.data)
        result = retrain(recipe, Registry.at(said.registry, name=said.name))
    except ChsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    print(result.to_text())
    return int(not result.promoted)


if __name__ == "__main__":
    sys.exit(main())
