with source as ({{ landed_rows('sqs', 'login_queue', [
        'message_id',
        'attributes__sent_timestamp',
        'attributes__approximate_first_receive_timestamp',
        'body__user_id__pseudonym',
        'body__ip__pseudonym',
        'body__device_id__pseudonym',
        'body__app_version',
        'body__device_type',
        'body__locale',
    ], by_day=false) }}
),

-- Every committed set counts, and a queue delivers at least once, in no order: one row for each message id, that which
-- landed first.
numbered as (
    select
        *,
        row_number() over (partition by message_id order by run_seq, row_no) as landing_no,
        count(*) over (partition by message_id) as deliveries
    from source
),

renamed as (
    select
        -- set
        account_id as queue_name,
        run_seq,
        read_at,

        -- ids
        message_id,
        body__user_id__pseudonym as user_pseudonym,
        body__ip__pseudonym as ip_pseudonym,
        body__device_id__pseudonym as device_pseudonym,

        -- text
        body__app_version as app_version,
        body__device_type as device_type,
        body__locale as locale,

        -- numbers
        deliveries,

        -- times; the message itself has none
        coalesce(
            {{ from_epoch('attributes__sent_timestamp') }},
            {{ from_epoch('attributes__approximate_first_receive_timestamp') }},
            read_at
        ) as sent_at
    from numbered
    where landing_no = 1
),

-- A producer's retry is the same login under another message id, soon after.
compared as (
    select
        *,
        lag(sent_at) over (
            partition by user_pseudonym, ip_pseudonym, device_pseudonym, app_version, device_type, locale
            order by sent_at, message_id
        ) as same_sent_at
    from renamed
)

select
    queue_name,
    run_seq,
    read_at,
    message_id,
    user_pseudonym,
    ip_pseudonym,
    device_pseudonym,
    app_version,
    device_type,
    locale,
    deliveries,
    coalesce(
        user_pseudonym is not null
        and sent_at <= same_sent_at + interval '{{ var("login_retry_seconds") }} seconds',
        false
    ) as is_duplicate,
    sent_at
from compared
