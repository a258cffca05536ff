"""A bundle of evidence whose checkpoint a witness has cosigned, from the services to a verdict."""

from tests.cli.conftest import Cli
from tests.support.events import event, record, settled
from tests.support.gateway import running_gateway
from tests.support.witnesses import write_policy
from tests.witness.installations import known_installation, latest_cosigned_by, watched_world

PERIOD = ("--from", "2000-01-01", "--to", "2100-01-01")


async def test_a_bundle_is_verified_under_the_keys_of_log_and_witness(
    cluster, new_witness, tmp_path
):
    database = cluster.new_database()
    witness = await new_witness(await known_installation(database))
    line = await witness.policy_line()
    policy = write_policy(tmp_path / "policy", "1", line)
    await witness.start()
    async with watched_world(database, policy) as world, running_gateway(world) as gateway:
        user = await world.new_user()
        await settled(world, user)
        size = (await record(world, user, event())).proof.tree_size
        await latest_cosigned_by(world, user, size, witness.name)
        key = (await gateway.http.get(f"/v1/logs/{user.organisation_id}/key")).text.strip()
        cli = Cli({"SMART_AUDIT_ADDRESS": gateway.address, "SMART_AUDIT_TOKEN": user.access_token})
        # `witness NAME VKEY URL`
        theirs, bundle = line.split()[2], tmp_path / "bundle.zip"
        out = ("--witness", theirs, "--out", bundle)
        made = await cli.run("export", "evidence", *PERIOD, *out)
        assert (made.code, made.err) == (0, "")
        found = await cli.run("verify", "evidence", bundle, "--key", key, "--key", theirs)
        assert (found.code, found.err) == (0, "")
        assert witness.name in found.out
        assert f"among entries 0 to {size - 1} of {size}" in found.out
