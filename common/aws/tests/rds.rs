use aws::rds::{Instance, InstanceState, Tokens};
use aws::{Aws, AwsError, Http};
use wiremock::ResponseTemplate;

use crate::stub::{Stub, refused_in_xml};
use crate::{REGION, with_keys};

const ID: &str = "ai-coding-team-prod";
const DESCRIBE: [(&str, &str); 3] = [("Action", "DescribeDBInstances"), ("Version", "2014-10-31"), ("DBInstanceIdentifier", ID)];

fn instance(stub: &Stub) -> Instance {
    Instance::new(&with_keys(), ID, stub.endpoint().as_ref())
}

#[tokio::test]
async fn an_instance_is_described() {
    let stub = Stub::start("rds").await;
    let group = "<DBParameterGroup><DBParameterGroupName>connections-100</DBParameterGroupName>\
                 <ParameterApplyStatus>pending-reboot</ParameterApplyStatus></DBParameterGroup>";
    let found = format!(
        "<DBInstance><DBInstanceIdentifier>{ID}</DBInstanceIdentifier><DBInstanceStatus>available</DBInstanceStatus>\
         <DBInstanceClass>db.t3.small</DBInstanceClass><EngineVersion>17.4</EngineVersion><MultiAZ>true</MultiAZ>\
         <AllocatedStorage>20</AllocatedStorage><MaxAllocatedStorage>100</MaxAllocatedStorage>\
         <DBParameterGroups>{group}</DBParameterGroups></DBInstance>"
    );
    let answer = format!(
        "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>{found}</DBInstances></DescribeDBInstancesResult>\
         </DescribeDBInstancesResponse>"
    );
    stub.form(&DESCRIBE).respond_with(ResponseTemplate::new(200).set_body_string(answer)).expect(1).mount(&stub.server).await;
    let expected = InstanceState {
        id: ID.to_owned(),
        status: "available".to_owned(),
        class: "db.t3.small".to_owned(),
        version: "17.4".to_owned(),
        multi_az: true,
        storage_gib: 20,
        storage_most_gib: Some(100),
        parameter_groups: vec![("connections-100".to_owned(), "pending-reboot".to_owned())],
    };
    assert_eq!(instance(&stub).describe().await.unwrap(), expected);
}

#[tokio::test]
async fn an_instance_that_is_not_there_and_one_that_may_not_be_seen_are_told_apart() {
    let stub = Stub::start("rds").await;
    let none = refused_in_xml(404, "DBInstanceNotFound", "DBInstance ai-coding-team-prod not found.");
    stub.form(&DESCRIBE).respond_with(none).expect(1).mount(&stub.server).await;
    let error = instance(&stub).describe().await.unwrap_err();
    assert_eq!(error, AwsError::NotFound { what: format!("database instance {ID}"), region: REGION.to_owned() });
    let stub = Stub::start("rds").await;
    stub.form(&DESCRIBE).respond_with(refused_in_xml(403, "AccessDenied", "no")).expect(1).mount(&stub.server).await;
    let error = instance(&stub).describe().await.unwrap_err().to_string();
    assert!(error.contains("rds:DescribeDBInstances is denied"), "{error}");
}

#[tokio::test]
async fn a_token_is_signed_for_one_user_of_one_database_and_a_quarter_of_an_hour() {
    let token = Tokens::new(&with_keys()).token("DB.Example", 5432, "codeteam").await.unwrap();
    let start = "db.example:5432/?Action=connect&DBUser=codeteam&";
    assert!(token.expose().starts_with(start), "{}", token.expose());
    for part in ["X-Amz-Expires=900", "%2Fus-east-1%2Frds-db%2Faws4_request", "X-Amz-Credential=AKIDEXAMPLE%2F", "X-Amz-Signature="] {
        assert!(token.expose().contains(part), "no {part} in {}", token.expose());
    }
    let nobody = Aws::new(&Http::new(None).unwrap(), REGION, None);
    let error = Tokens::new(&nobody).token("db.example", 5432, "codeteam").await.unwrap_err();
    assert!(matches!(error, AwsError::Credentials { action: "rds-db:connect", .. }), "{error}");
}
