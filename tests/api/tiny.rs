//! The embedded bundle, through the models.
