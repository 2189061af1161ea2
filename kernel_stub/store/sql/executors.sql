-- list_executors --
-- The registry by name.
SELECT name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url, commit_plane_endpoint,
       commit_plane_token_file
FROM executors ORDER BY name

-- load_executor --
-- One entry of the registry.
SELECT name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url, commit_plane_endpoint,
       commit_plane_token_file
FROM executors WHERE name = :name

-- put_executor --
-- The same name replaces.
INSERT INTO executors (name, base_url, remote, target_node_id, scope_hint, agent_event_callback_base_url,
                       commit_plane_endpoint, commit_plane_token_file)
VALUES (:name, :base_url, :remote, :target_node_id, :scope_hint, :agent_event_callback_base_url,
        :commit_plane_endpoint, :commit_plane_token_file)
ON CONFLICT (name) DO UPDATE SET base_url = excluded.base_url, remote = excluded.remote,
    target_node_id = excluded.target_node_id, scope_hint = excluded.scope_hint,
    agent_event_callback_base_url = excluded.agent_event_callback_base_url,
    commit_plane_endpoint = excluded.commit_plane_endpoint,
    commit_plane_token_file = excluded.commit_plane_token_file
