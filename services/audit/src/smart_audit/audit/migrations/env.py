from smart_audit.core.migrations import run_env

run_env()
