import type { RepositoryView } from '../core/services.ts'
import type { BackendManifest } from '../core/storage-backend.ts'

/** A repository as the REST API shows it. */
export function repositoryJson(repository: RepositoryView) {
  return {
    id: repository.id,
    alias: repository.alias,
    mount_point: repository.mountPoint,
    filesystem: repository.filesystem,
    source: repository.source,
    backend: repository.backend,
    compatible: repository.compatible,
    reasons: repository.reasons,
    problems: repository.problems,
  }
}

/** A backend's manifest as the REST API shows it. */
export function backendJson(manifest: BackendManifest) {
  return {
    name: manifest.name,
    api_version: manifest.apiVersion,
    description: manifest.description,
    filesystems: manifest.filesystems,
    difference: manifest.difference,
  }
}
