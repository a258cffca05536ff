"""What a CloudTrail record says was acted upon."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.events import MAX_TARGET_ID, MAX_TARGET_TYPE, MAX_TARGETS

Json = Mapping[str, Any]

# The type of what a request parameter names, by service. Only parameters that name one thing:
# a name that means different things in one service, or a filter of a search, is not here.
_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "cloudtrail": {"trailName": "AWS::CloudTrail::Trail"},
    "ec2": {
        "allocationId": "AWS::EC2::EIP",
        "groupId": "AWS::EC2::SecurityGroup",
        "imageId": "AWS::EC2::Image",
        "instanceId": "AWS::EC2::Instance",
        "internetGatewayId": "AWS::EC2::InternetGateway",
        "natGatewayId": "AWS::EC2::NatGateway",
        "networkInterfaceId": "AWS::EC2::NetworkInterface",
        "routeTableId": "AWS::EC2::RouteTable",
        "snapshotId": "AWS::EC2::Snapshot",
        "subnetId": "AWS::EC2::Subnet",
        "volumeId": "AWS::EC2::Volume",
        "vpcId": "AWS::EC2::VPC",
    },
    "iam": {
        "groupName": "AWS::IAM::Group",
        "instanceProfileName": "AWS::IAM::InstanceProfile",
        "policyArn": "AWS::IAM::Policy",
        "roleName": "AWS::IAM::Role",
        "userName": "AWS::IAM::User",
    },
    "kms": {"keyId": "AWS::KMS::Key"},
    "lambda": {"functionName": "AWS::Lambda::Function"},
    "logs": {"logGroupName": "AWS::Logs::LogGroup"},
    "rds": {
        "dBInstanceIdentifier": "AWS::RDS::DBInstance",
        "dBSnapshotIdentifier": "AWS::RDS::DBSnapshot",
    },
    "s3": {"bucketName": "AWS::S3::Bucket"},
    "secretsmanager": {"secretId": "AWS::SecretsManager::Secret"},
    "ssm": {"documentName": "AWS::SSM::Document", "instanceId": "AWS::EC2::Instance"},
    "sts": {"roleArn": "AWS::IAM::Role"},
}


def targets_of(record: Json, service: str) -> list[audit_pb2.Target]:
    """The targets, at most 64: the record's own resources, or else what its parameters name.

    A target whose id or type is longer than the contract allows is left out, not cut; the
    record's metadata holds all of them whole.
    """
    found = [*_resources(record)] or [*_named(record, service)]
    fitting = [
        audit_pb2.Target(id=id_, type=type_)
        for id_, type_ in dict.fromkeys(found)
        if len(id_) <= MAX_TARGET_ID and len(type_) <= MAX_TARGET_TYPE
    ]
    return fitting[:MAX_TARGETS]


def _resources(record: Json) -> Iterator[tuple[str, str]]:
    """(id, type) of each resource; one that stands for many has a prefix instead of a name."""
    for resource in _list(record.get("resources")):
        if not isinstance(resource, dict):
            continue
        id_ = resource.get("ARN") or resource.get("ARNPrefix")
        type_ = resource.get("type") or ""
        if isinstance(id_, str) and id_ and isinstance(type_, str):
            yield id_, type_


def _named(record: Json, service: str) -> Iterator[tuple[str, str]]:
    """(id, type) of each parameter in the table, and of the instances of an EC2 request."""
    parameters = record.get("requestParameters")
    if not isinstance(parameters, dict):
        return
    for name, type_ in _PARAMETERS.get(service, {}).items():
        value = parameters.get(name)
        if isinstance(value, str) and value:
            yield value, type_
    instances = parameters.get("instancesSet") if service == "ec2" else None
    if isinstance(instances, dict):
        for item in _list(instances.get("items")):
            id_ = item.get("instanceId") if isinstance(item, dict) else None
            if isinstance(id_, str) and id_:
                yield id_, "AWS::EC2::Instance"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
