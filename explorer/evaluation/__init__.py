"""The published protocols on any folder of photos: probes, preservation, reconstruction, edges."""
