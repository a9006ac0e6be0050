"""The sections of a recipe about what becomes of a model: the gate, and writing scores back."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chs_ml.recipe.values import Section


class GateSpec(Section):
    """Table ``[gate]``: what a challenger must show before it replaces the champion.

    Attributes
    ----------
    statistic : {"log_loss", "auc"}
        Decides; by the other one the challenger must not be shown to be worse.
    margin : float
        The lower end of the gain's 95 % interval must exceed it; in units of the statistic.
    bootstrap : int
        Replicates of the paired, account-clustered bootstrap.
    """

    statistic: Literal["log_loss", "auc"] = "log_loss"
    margin: Annotated[float, Field(ge=0.0)] = 0.0
    bootstrap: Annotated[int, Field(ge=100)] = 1000


class _TargetSpec(Section):
    fields: dict[str, str]
    decimals: Annotated[int, Field(ge=0, le=9)] = 1
    probability_decimals: Annotated[int, Field(ge=0, le=12)] = 4

    @model_validator(mode="after")
    def _names_are_given_once(self) -> Self:
        if not self.fields:
            raise ValueError('fields must map at least one column, such as health_score = "Health_Score__c"')
        if len(set(self.fields.values())) < len(self.fields):
            raise ValueError("fields must name each field once")
        return self


class SalesforceSpec(_TargetSpec):
    """Table ``[writeback.salesforce]``.

    Attributes
    ----------
    external_id : str
        API name of the field that holds our account id: ``Id``, or an external id field.
    fields : dict of str to str
        API name per column of the scores.
    decimals, probability_decimals : int
        Decimals of points, and of probability and coverage.
    """

    external_id: str = "Id"


class HubSpotSpec(_TargetSpec):
    """Table ``[writeback.hubspot]``.

    Attributes
    ----------
    id_property : str
        Unique property of a company that holds our account id; ``hs_object_id`` for HubSpot's own.
    fields : dict of str to str
        Internal property name per column of the scores.
    decimals, probability_decimals : int
        Decimals of points, and of probability and coverage.
    """

    id_property: str = "hs_object_id"


class WritebackSpec(Section):
    """Table ``[writeback]``: which score goes into which field of a CRM."""

    salesforce: SalesforceSpec | None = None
    hubspot: HubSpotSpec | None = None
