with source as ({{ landed_rows('clevertap', 'profiles', [
        'identity__pseudonym',
        'email__pseudonym',
        'phone__pseudonym',
        'object_id__pseudonym',
    ]) }}
),

-- A profile is found by each event that it did on each day: the last reading of it counts.
numbered as (
    select
        *,
        row_number() over (
            partition by coalesce(identity__pseudonym, object_id__pseudonym)
            order by run_seq desc, date_day desc, account_id asc, row_no desc
        ) as recency
    from source
    where
        is_current
        and coalesce(identity__pseudonym, object_id__pseudonym) is not null
),

renamed as (
    select
        -- set
        account_id as event_name,
        date_day,
        run_seq,
        read_at,

        -- ids
        identity__pseudonym as identity_pseudonym,
        email__pseudonym as email_pseudonym,
        phone__pseudonym as phone_pseudonym,
        object_id__pseudonym as device_pseudonym
    from numbered
    where recency = 1
)

select * from renamed
