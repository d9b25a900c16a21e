"""The gateway's ends of its links into the cluster: to ledgers, and to session actors by trunks."""
