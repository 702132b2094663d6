with source as ({{ newest_rows('rds', 'users', 'user_id__pseudonym', {
        'user_id__pseudonym': type_text(),
        'merged_into__pseudonym': type_text(),
        'email__pseudonym': type_text(),
        'phone__pseudonym': type_text(),
        'full_name__pseudonym': type_text(),
        'last_ip__pseudonym': type_text(),
        'country': type_text(),
        'plan': type_text(),
        'marketing_consent': 'boolean',
        'signed_up_at': 'timestamptz',
        'updated_at': 'timestamptz',
    }) }}
),

renamed as (
    select
        -- set
        account_id as database_name,
        run_seq,
        read_at,

        -- ids
        user_id__pseudonym as user_pseudonym,
        merged_into__pseudonym as merged_into_user_pseudonym,
        email__pseudonym as email_pseudonym,
        phone__pseudonym as phone_pseudonym,
        full_name__pseudonym as full_name_pseudonym,
        last_ip__pseudonym as last_ip_pseudonym,

        -- text
        cast(country as {{ type_text() }}) as country_code,
        cast(plan as {{ type_text() }}) as plan,

        -- flags
        marketing_consent as has_marketing_consent,
        is_deleted,

        -- times
        signed_up_at,
        updated_at
    from source
)

select * from renamed
