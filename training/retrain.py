"""Retrain, validate, judge against the champion, promote: one run for a scheduler.

    python training/retrain.py training/business.toml [--data TABLE] [--unseen TABLE]
                               [--registry FOLDER_OR_URI] [--name NAME]

The gate judges on rows after the training of both models. A recipe without snapshot_date cannot tell which
those are: give them with --unseen, or the new model is registered as the challenger and left there.
Exit code 0: the new model is the champion; 1: the champion stays, or there is too little data; 2: bad input.
"""

import argparse
import sys

from chs_ml import load_recipe
from chs_ml.errors import ChsError
from chs_ml.promotion import retrain
from chs_ml.registry import NAME, Registry
from chs_ml.table import read_table


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", help="use this table instead of the recipe's")
    parser.add_argument("--unseen", help="table with outcomes on which neither model was trained")
    parser.add_argument("--registry", help="folder or MLflow tracking URI")
    parser.add_argument("--name", default=NAME)
    said = parser.parse_args()
    try:
        recipe = load_recipe(said.recipe)
        recipe = recipe if said.data is None else recipe.with_data(said.data)
        unseen = None if said.unseen is None else read_table(said.unseen)
        result = retrain(recipe, Registry.at(said.registry, name=said.name), unseen=unseen)
    except ChsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    print(result.to_text())
    return int(not result.promoted)


if __name__ == "__main__":
    sys.exit(main())
