"""The workloads that aimstore brings, one module for each; `aimstore.plugins.defaults` lists them."""
