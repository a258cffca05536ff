"""ASVS 6.3, general authentication security."""

from tests.asvs.requirements import proves


@proves("6.3.2", "a new installation has no users; the operator names the first administrator")
async def test_a_new_installation_has_no_accounts(cluster):
    with cluster.new_database().connect() as connection:
        for table in ("users", "memberships", "service_accounts", "api_keys"):
            assert connection.execute(f"SELECT count(*) FROM auth.{table}").fetchone() == (0,)
