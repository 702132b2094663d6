-- What landed from the queue in committed sets is what the fact counts as delivered: none is lost, none made up.
{{ blocks_nothing() }}
with landed as (
    select
        account_id as queue_name,
        sum(read_rows) as messages
    from {{ ref('stg_sqs__sets') }}
    where resource = 'login_queue'
    group by account_id
),

held as (
    select
        logins.queue_name,
        sum(facts.deliveries) as messages
    from {{ ref('fact_user_login') }} as facts
    inner join {{ ref('stg_sqs__logins') }} as logins
        on facts.message_id = logins.message_id
    group by logins.queue_name
)

select
    coalesce(landed.queue_name, held.queue_name) as queue_name,
    coalesce(landed.messages, 0) as landed_messages,
    coalesce(held.messages, 0) as held_messages
from landed
full outer join held
    on landed.queue_name = held.queue_name
where coalesce(landed.messages, 0) <> coalesce(held.messages, 0)
