//! The definitions of the resources, as `crds/` has them.

use super::{KafkaCluster, KafkaTopic};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// All definitions, each with the name of its file in `crds/`.
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 2] {
    [("kafkaclusters.yaml", tidied(KafkaCluster::crd())), ("kafkatopics.yaml", tidied(KafkaTopic::crd()))]
}

fn tidied(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(tidy);
    definition
}

/// Makes `field: null`, as templates write it, the same as a field that is left out: Kubernetes removes a null where the
/// schema does not allow it. Kept, it would pass for a value in the rules (`has(self.field)`). Maps are the exception: a
/// server-side apply makes a null of a map that becomes empty, and no rule asks whether one is there.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = schema.additional_properties.is_some().then_some(true);
    schema.title = None;
    schema.description = schema.description.take().map(|text| paragraphs(&text));
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
}

/// `text` without the line breaks of the source, which `kubectl explain` would keep.
fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}
