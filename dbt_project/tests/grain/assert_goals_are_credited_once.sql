-- Under every attribution model each order and each sign-up is credited once, to a touch before it or to none.
{{ blocks_nothing() }}
select
    attribution_model,
    goal_kind,
    database_name,
    goal_id,
    count(*) as credits,
    min(touched_at) as touched_at,
    min(reached_at) as reached_at
from {{ ref('int_goals__attributed') }}
group by attribution_model, goal_kind, database_name, goal_id, user_key
having count(*) > 1 or min(reached_at) < min(touched_at)
