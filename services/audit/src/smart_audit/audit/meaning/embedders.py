"""The model that the settings name."""

from smart_audit.audit.meaning.embedding import Embedder, WordVectorEmbedder
from smart_audit.audit.meaning.embedding_service import EmbeddingService
from smart_audit.audit.meaning.sentence_transformers import SentenceTransformers
from smart_audit.audit.settings import AuditSettings


def embedder(settings: AuditSettings) -> Embedder:
    """The model to embed with. Raises: ValueError when a setting is missing that it needs."""
    match settings.embeddings:
        case "wordllama":
            return WordVectorEmbedder()
        case "service":
            url = settings.embeddings_url
            if not url or not settings.embeddings_model:
                raise ValueError(
                    "AUDIT_EMBEDDINGS=service needs AUDIT_EMBEDDINGS_URL and AUDIT_EMBEDDINGS_MODEL"
                )
            return EmbeddingService(
                url,
                settings.embeddings_model,
                settings.embeddings_dimensions,
                settings.embeddings_key,
                settings.embeddings_timeout.total_seconds(),
            )
        case "sentence-transformers":
            folder = settings.embeddings_folder
            if folder is None or not folder.is_dir():
                raise ValueError(
                    "AUDIT_EMBEDDINGS=sentence-transformers needs AUDIT_EMBEDDINGS_FOLDER: "
                    "the folder of a model"
                )
            return SentenceTransformers(folder, settings.embeddings_dimensions)
