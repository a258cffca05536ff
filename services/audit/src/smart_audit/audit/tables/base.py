"""What all tables of schema `audit` have in common."""

from sqlalchemy import DateTime, MetaData

metadata = MetaData(schema="audit")
timestamp = DateTime(timezone=True)
